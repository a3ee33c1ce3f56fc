"""From chapters to executed notebooks, a ledger of claims and a static site."""
