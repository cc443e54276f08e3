"""From the files of a trial to numbers, intervals and verdicts. Pure: no process, no plot."""
