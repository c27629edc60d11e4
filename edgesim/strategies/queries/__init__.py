"""Several queries in one request, and codes over them: answers of lost devices follow from those of others."""
