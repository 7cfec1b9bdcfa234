"""The parts of scripts/bench. Read suites.py first."""
