"""Load runs as one self-contained HTML page: views of runs, sentences, figures, the page."""
