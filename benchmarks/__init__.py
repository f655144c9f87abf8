"""Speed and memory, ours against peers in one run; each ends in one line of JSON and writes results/NAME.json."""
