"""The parts of a job: the functions that are timed, by the names that the table gives them."""

CALLS = "RIGHTFIT_BENCH_CALLS"  # the environment variable with the file into which a trainer writes its calls

CLAIM, START, SUPERVISE = "claim (SQL)", "start of the process", "supervise"
OF_SUPERVISOR = {
    CLAIM: "workers.supervisor.supervisor.Supervisor.claim",
    START: "workers.supervisor.supervisor.start_trainer",
    SUPERVISE: "workers.supervisor.supervisor.Supervisor._supervise",
    "upload of the artifacts": "workers.supervisor.supervisor.publish",
    "end (SQL; checkpoints are deleted)": "workers.supervisor.supervisor.end",
    "other writes (SQL), beside the trainer": "workers.supervisor.attempt.Attempt.write",
    "upload of checkpoints, beside the trainer": "workers.supervisor.supervisor.store_checkpoint",
}

MAIN, LOAD, FIT, STEP, SAVE, FINALIZE = "main", "load the inputs", "fit", "step", "save", "finalize"
OF_TRAINER = {
    MAIN: "workers.trainer.main.train_job",
    LOAD: "workers.trainer.train_job.load_inputs",
    "of it data, normalization and split": "workers.trainer.inputs.prepare",
    "of it the network": "workers.trainer.inputs.build_model",
    "of it facts about the data": "workers.trainer.inputs.facts",
    FIT: "workers.trainer.train_job.fit",
    STEP: "workers.training.step.Step.__call__",
    SAVE: "workers.trainer.train_job.save_tensors",
    FINALIZE: "workers.trainer.train_job.finalize",
    "of it outputs of the best model": "workers.trainer.finalize.predict_parts",
    "of it temperature": "workers.trainer.finalize.calibration_of",
    "of it diagnosis": "workers.trainer.finalize.diagnose",
    "of it model.safetensors": "workers.trainer.artifacts.save_safetensors",
    "of it model.onnx": "workers.trainer.artifacts.save_onnx",
    "of model.onnx the graph": "workers.training.export._trace",
    "of model.onnx the check": "workers.training.export._run_onnx",
    "of it report.json": "workers.trainer.artifacts.summary",
}
