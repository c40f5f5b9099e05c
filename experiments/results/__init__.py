"""Results: their typed record, how they are measured and compared, and one table with five writers."""
