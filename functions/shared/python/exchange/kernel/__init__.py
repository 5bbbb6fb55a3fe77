"""What every package may use: identifiers, exact money, time, and the three kinds of failure."""
