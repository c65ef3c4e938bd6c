"""How much each option of the space mattered: PED-ANOVA over the whole trainings of a fit.

Watanabe et al., "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces" (IJCAI 2023).
"""

import warnings
from collections.abc import Sequence
from typing import Any

from service.core.experiments.fits.sampler import values_by_trial
from service.core.records.fit import Run, Trial
from service.core.records.fit_request import FitRequest

LEAST_TRIALS = 10  # with fewer whole trainings the shares are chance


def importance(request: FitRequest, trials: Sequence[Trial], runs: Sequence[Run]) -> list[dict[str, Any]] | None:
    """The options by falling share, which sum to 1; None with too few trials."""
    import optuna  # noqa: PLC0415 - see study.py

    from service.core.experiments.fits.study import study_of  # noqa: PLC0415

    varied = {path: values for path, values in request.space.items() if len(values.choices) != 1}
    study = study_of(varied, values_by_trial(request.spec, varied, trials), runs)
    if len(study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))) < LEAST_TRIALS:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
    return [{"option": path, "share": share} for path, share in shares.items()]
