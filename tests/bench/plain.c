/* The work of the core without its care: no checks, no classes, no overflow, results into memory that is there. */
#include <stddef.h>
#include <stdint.h>

/* Difference of consecutive counts, factor by a moving pointer, product. */
void deltas(const int64_t *counts, const int64_t *t_ms, size_t readings, const int64_t *starts, const int64_t *values,
            size_t factors, int64_t *carbon)
{
    size_t at = 0;
    for (size_t i = 0; i + 1 < readings; i++) {
        while (at + 1 < factors && starts[at + 1] <= t_ms[i])
            at++;
        carbon[i] = (counts[i + 1] - counts[i]) * values[at];
    }
}

/* Difference of each register's counts, times a scale. */
void steps(const int32_t *registers, const int64_t *counts, size_t readings, int64_t scale, int64_t *last,
           int64_t *energy)
{
    for (size_t i = 0; i < readings; i++) {
        energy[i] = (counts[i] - last[registers[i]]) * scale;
        last[registers[i]] = counts[i];
    }
}
