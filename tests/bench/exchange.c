/* One client of libmodbus: CPU of a read of holding registers, in microseconds. Arguments: port, registers, reads. */
#include <errno.h>
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int port = atoi(argv[1]), registers = atoi(argv[2]), reads = atoi(argv[3]);
    uint16_t words[MODBUS_MAX_READ_REGISTERS];
    modbus_t *client = modbus_new_tcp("127.0.0.1", port);
    double begin_us = 0;
    if (client == NULL || modbus_set_slave(client, 1) || modbus_connect(client)) {
        fprintf(stderr, "libmodbus: %s\n", modbus_strerror(errno));
        return 1;
    }
    for (int n = -50; n < reads; n++) {
        if (n == 0)
            begin_us = cpu_us();
        if (modbus_read_registers(client, 0, registers, words) != registers) {
            fprintf(stderr, "libmodbus: %s\n", modbus_strerror(errno));
            return 1;
        }
    }
    printf("%.3f\n", (cpu_us() - begin_us) / reads);
    modbus_close(client);
    modbus_free(client);
    return 0;
}
