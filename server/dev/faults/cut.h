/* An answer that ends in the middle. */
#pragma once

struct MHD_Response;

/* Half of the text, of which the whole was promised; then the connection ends. */
struct MHD_Response *cut_response(const char *text);
