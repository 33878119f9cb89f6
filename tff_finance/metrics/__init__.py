"""Score histograms, summable over institutions, and the metrics derived from them."""
