"""The example programs that ``python -m loopjax`` runs."""
