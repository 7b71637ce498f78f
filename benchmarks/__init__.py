"""Our commands beside the best for the same work, in one run: `python -m benchmarks`. The README says what each row means."""
