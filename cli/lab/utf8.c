/* SPDX-License-Identifier: MIT */
/* UTF-8 is checked as the Unicode standard says (section 3.9, table 3-7): the first byte decides
 * how many follow, and the range of the second, which keeps out overlong forms, surrogates and what
 * lies above U+10FFFF. */
#include "utf8.h"

size_t utf8_length(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    unsigned char low = 0x80, high = 0xbf;
    size_t more;

    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    more = s[0] < 0xe0 ? 1 : s[0] < 0xf0 ? 2 : 3;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i <= more; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return more + 1;
}

size_t utf8_printable(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t length = utf8_length(text);

    if (length == 1 && (s[0] < ' ' || s[0] == 0x7f) && s[0] != '\n' && s[0] != '\t')
        return 0;
    return length == 2 && s[0] == 0xc2 && s[1] < 0xa0 ? 0 : length; /* U+0080 to U+009F */
}
