"""The recipe of airbench for small pictures: a spec in Rightfit's engine beside a plain loop of PyTorch.

Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (2024), https://arxiv.org/abs/2404.00498.
"""
