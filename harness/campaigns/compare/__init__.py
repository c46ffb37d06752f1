"""The textbook's table of election algorithms, measured: what elections cost, how long they take, what they promise."""
