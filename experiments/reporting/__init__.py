"""The report: run folders are read, tabulated, drawn and put on one page."""
