"""The path of one run: an experiment, its phases, its history, its verdicts, its folder."""
