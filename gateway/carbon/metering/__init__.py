"""From readings to spans of energy on the timelines of registers."""
