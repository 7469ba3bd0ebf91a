// A modbus-serial device: unit 5, holding registers 100 to 139 hold 1000 to 1039. Says its port.
const { ServerTCP } = require("modbus-serial");

const registers = new Map(Array.from({ length: 40 }, (_, index) => [100 + index, 1000 + index]));
const place = (address) => {
    if (!registers.has(address)) throw Object.assign(new Error("no such register"), { modbusErrorCode: 2 });
    return address;
};
const server = new ServerTCP(
    {
        getHoldingRegister: (address) => registers.get(place(address)),
        setRegister: (address, value) => registers.set(place(address), value),
    },
    { host: "127.0.0.1", port: 0, unitID: 5 },
);
server.on("initialized", () => console.log(server._server.address().port));
process.stdin.on("end", () => process.exit()).resume();
