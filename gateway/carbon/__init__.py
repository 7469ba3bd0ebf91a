"""From readings to carbon: meter, factors, rules and entries, exact in integers from end to end."""
