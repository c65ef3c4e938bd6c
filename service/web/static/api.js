// The page of the API: Swagger UI draws the document of the API.

SwaggerUIBundle({ url: document.getElementById('api').dataset.document, dom_id: '#api', validatorUrl: null });
