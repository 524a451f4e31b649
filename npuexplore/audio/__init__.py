"""Sound in and out: files, spectra, metrics, corpora, mixtures."""
