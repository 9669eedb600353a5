/* SPDX-License-Identifier: MIT */
/* Addresses as text: what is read is written the same, and nonsense is called what it is. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "io/address.h"

static struct address found[ADDRESSES_MAX];

static int find(const char *text, enum address_use use)
{
    return address_find(text, use, found, WEFT_NOW); /* names would be late */
}

static const char *written(void)
{
    static char text[WEFT_ADDRESS_BYTES];
    EXPECT_EQ(address_format(&found[0], text, sizeof text), 0);
    return text;
}

TEST(what_is_read_is_written_the_same)
{
    const char *const same[] = {
        "127.0.0.1:80",   "255.255.255.255:65535",
        "[::1]:80",       "[2001:db8::8:800:200c:417a]:1",
        "unix:/run/chat", "unix:relative/name with : and @",
        "unix:@abstract", "unix:@@",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        EXPECT_EQ(find(same[i], ADDRESS_DIAL), 1);
        EXPECT_STR(written(), same[i]);
    }
}

TEST(other_spellings_are_read_too)
{
    const char *const spellings[][2] = {
        { "tcp:127.0.0.1:80", "127.0.0.1:80" }, { "tcp:[::1]:080", "[::1]:80" },
        { "[0:0:0:0:0:0:0:1]:80", "[::1]:80" }, { "[::ffff:10.0.0.1]:80", "10.0.0.1:80" },
        { "[fe80::1%1]:80", "[fe80::1%1]:80" },
    };
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        EXPECT_EQ(find(spellings[i][0], ADDRESS_DIAL), 1);
        EXPECT_STR(written(), spellings[i][1]);
    }
    EXPECT_EQ(find("udp:127.0.0.1:80", ADDRESS_SEND), 1);
    EXPECT_STR(written(), "127.0.0.1:80");
}

TEST(an_interface_has_a_name)
{
    char text[100], name[IF_NAMESIZE];
    if (!if_indextoname(1, name))
        SKIP("there is no interface");
    snprintf(text, sizeof text, "[fe80::1%%%s]:80", name);
    EXPECT_EQ(find(text, ADDRESS_DIAL), 1);
    EXPECT_STR(written(), "[fe80::1%1]:80");
}

TEST(every_address_is_both_families)
{
    const char *const every[] = { "*:80", ":80", "tcp::80", "tcp:*:80" };
    for (size_t i = 0; i < sizeof every / sizeof *every; i++) {
        EXPECT_EQ(find(every[i], ADDRESS_LISTEN), 2);
        EXPECT_STR(written(), "[::]:80");
        EXPECT_EQ(found[1].any.sa_family, AF_INET);
    }
    EXPECT_EQ(find("127.0.0.1:0", ADDRESS_LISTEN), 1);
    EXPECT_EQ(find("*:0", ADDRESS_RECEIVE), 2);
}

#define A16  "aaaaaaaaaaaaaaaa"
#define A64  A16 A16 A16 A16
#define A256 A64 A64 A64 A64

TEST(nonsense_is_called_what_it_is)
{
    const struct {
        const char *text;
        int error;
    } cases[] = {
        { NULL, -EINVAL },
        { "", -EINVAL },
        { "host", -EINVAL },
        { "host:", -EINVAL },
        { "80", -EINVAL },
        { "tcp:80", -EINVAL },
        { "tcp:", -EINVAL },
        { "unix:", -EINVAL },
        { "unix:@", -EINVAL },
        { "udp:127.0.0.1:80", -EINVAL },
        { "::1:80", -EINVAL },
        { "::1", -EINVAL },
        { "[::1]", -EINVAL },
        { "[::1]80", -EINVAL },
        { "[::1", -EINVAL },
        { "[]:80", -EINVAL },
        { "[", -EINVAL },
        { "[:", -EINVAL },
        { "[127.0.0.1]:80", -EINVAL },
        { "[host]:80", -EINVAL },
        { "[::g]:80", -EINVAL },
        { "[::1]]:80", -EINVAL },
        { "[::1]:80:80", -EINVAL },
        { "host:80:80", -EINVAL },
        { "127.0.0.1:65536", -ERANGE },
        { "127.0.0.1:99999999999999999999999999999999999999999999", -ERANGE },
        { "*:65536", -ERANGE },
        { "host:65536", -ERANGE },
        { "127.0.0.1:0", -EDESTADDRREQ },
        { "*:80", -EDESTADDRREQ },
        { ":80", -EDESTADDRREQ },
        { "[fe80::1%no-such-if]:80", -ENODEV },
        { "[fe80::1%]:80", -ENODEV },
        { A256 ":80", -ENAMETOOLONG },
        { "[" A256 ":]:80", -ENAMETOOLONG },
        { "host:" A64, -EINVAL },
        { "unix:" A64 A64, -ENAMETOOLONG },
        { "unix:@" A64 A64, -ENAMETOOLONG },
        { "host:80", -ETIMEDOUT }, /* a name, and no time to look it up */
        { "127.0.0.1:http", -ETIMEDOUT },
        { "127.0.0.1:-1", -ETIMEDOUT },
        { "127.0.0.256:80", -ETIMEDOUT }, /* no address, so a name */
        { "127.0.0.1 :80", -ETIMEDOUT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (find(cases[i].text, ADDRESS_DIAL) != cases[i].error)
            FAIL("%s: %d", cases[i].text, find(cases[i].text, ADDRESS_DIAL));
}

TEST(unix_names_are_written_however_they_come)
{
    char text[WEFT_ADDRESS_BYTES];
    struct address address = { .local.sun_family = AF_UNIX };
    size_t header = offsetof(struct sockaddr_un, sun_path);
    address.size = (socklen_t)header; /* a socket without a name */
    EXPECT_EQ(address_format(&address, text, sizeof text), 0);
    EXPECT_STR(text, "unix:");
    memset(address.local.sun_path, 'p', sizeof address.local.sun_path); /* full, no NUL */
    address.size = sizeof address.local;
    EXPECT_EQ(address_format(&address, text, sizeof text), 0);
    EXPECT_EQ(strlen(text), 5 + sizeof address.local.sun_path);
    memcpy(address.local.sun_path, "\0a\0b", 4);
    address.size = (socklen_t)header + 4;
    EXPECT_EQ(address_format(&address, text, sizeof text), 0);
    EXPECT_STR(text, "unix:@a@b");
    EXPECT_EQ(address_format(&address, text, 9), -ENOSPC);
    EXPECT_EQ(address_format(&address, text, 10), 0);
    address.any.sa_family = AF_UNSPEC;
    EXPECT_EQ(address_format(&address, text, sizeof text), -ENOTSUP);
}
