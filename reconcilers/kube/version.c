/* Resource versions: decimal numbers up to 2^128 without leading zeros (KEP-5504). */
#include "reconcilers/kube/kube.h"

#include <string.h>

enum { DIGITS_MAX = 39 };

/* Number of digits, 0 when the text is no resource version. */
static size_t count_digits(const char *text)
{
    if (!text || *text < '1' || *text > '9')
        return 0;
    size_t digits = strspn(text, "0123456789");
    return text[digits] || digits > DIGITS_MAX ? 0 : digits;
}

int kube_version_compare(const char *a, const char *b)
{
    size_t a_digits = count_digits(a), b_digits = count_digits(b);
    if (a_digits != b_digits)
        return a_digits < b_digits ? -1 : 1;
    return a_digits ? strcmp(a, b) : 0;
}
