"""Devices: profiles, read plans, register codec and the Modbus links."""
