// A modbus-serial master: reads three floats from the first input registers of unit 1 at the given port.
const ModbusRTU = require("modbus-serial");

(async () => {
    const master = new ModbusRTU();
    await master.connectTCP("127.0.0.1", { port: Number(process.argv[2]) });
    master.setID(1);
    master.setTimeout(3000);
    const { buffer } = await master.readInputRegisters(0, 6);
    const refused = await master.readInputRegisters(9000, 1).catch((error) => error.modbusCode);
    console.log(JSON.stringify({ floats: [0, 4, 8].map((at) => buffer.readFloatBE(at)), refused }));
    master.close(() => process.exit());
})();
