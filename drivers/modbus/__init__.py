"""Modbus: links that judge every reply, a server, and an emulated serial line."""
