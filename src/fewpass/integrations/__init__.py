"""fewpass inside other libraries."""
