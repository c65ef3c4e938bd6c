from service.core.architectures import ARCHITECTURES as ARCHITECTURES
