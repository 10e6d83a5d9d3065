"""Training: the loop and everything around it that is not the model, the objective or the judgement.

loop.py the steps · optimizers.py muon.py schedules.py averaging.py what changes the weights · checkpoint.py
tensor_file.py events.py what is kept · signals.py progress.py the person outside · precision.py
distributed.py the machine. Import from these modules: this one stays empty so that ``progress`` and
``signals`` load without torch.
"""
