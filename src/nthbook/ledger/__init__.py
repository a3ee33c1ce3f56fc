"""The ledger of claims, and what refers to the theorems."""
