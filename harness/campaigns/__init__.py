"""Many runs at once: hunts, the matrix, comparisons, planted bugs, soaks."""
