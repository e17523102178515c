"""Programs that use `import emo`, which `make types` reads; pytest runs none of them."""
