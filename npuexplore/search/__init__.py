"""Space, Optuna driver, front and picks; the only optuna import."""
