"""The parts of a simulated device."""
