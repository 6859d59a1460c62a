"""Parts of tools/compare_strategies.py: what is compared, one run, and the table and plot of all of them."""
