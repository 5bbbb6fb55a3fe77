"""The engine measured: what it does a second beside other order books, alone, and behind the tool and the loop."""
