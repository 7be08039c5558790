"""What is made of the record, and of the world around, for people: preflight, scorecard, report. It decides nothing."""
