/* SPDX-License-Identifier: Apache-2.0 */
#include "base/errstr.h"

#include <stdarg.h>
#include <stdio.h>

void errstr_clear(char *errstr, size_t errstr_size)
{
    if (errstr != NULL && errstr_size > 0)
        errstr[0] = '\0';
}

klane_err_t errstr_set(klane_err_t err, char *errstr, size_t errstr_size, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (errstr != NULL && errstr_size > 0)
        vsnprintf(errstr, errstr_size, format, arguments);
    va_end(arguments);
    return err;
}
