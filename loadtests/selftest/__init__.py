"""The lab tests itself: it must find what was put into its trials, and refuse trials that were disturbed."""
