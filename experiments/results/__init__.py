"""Results: their record, the tables made of them, and the writers of these tables."""
