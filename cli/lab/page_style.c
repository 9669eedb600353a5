/* SPDX-License-Identifier: MIT */
/* The page's style sheet.
 *
 * Colours are Okabe and Ito's, which the colour-blind tell apart, darkened until they stand out
 * from white paper (3:1 or more), and their lighter kin for a dark screen. None stands alone: kinds
 * have marks and dashes, CPUs have stripes.
 *
 * Drawings are as wide as their column without being scaled: positions along x are per cent, all
 * else pixels, so that text has the size of text on a phone and on a wide screen. */
#include "page_parts.h"

#define LIGHT                                                                                      \
    "color-scheme:light;--paper:#fdfdfc;--raised:#fff;--ink:#171b21;--soft:#565f6b;"               \
    "--line:#d8dce2;--grid:#e9ecef;--tint:#edf3f8;--link:#0b5394;"                                 \
    "--serial:#616a75;--threads:#0069b4;--tasks:#007a5c;--processes:#c4500c;--auto:#9c3f79;"       \
    "--cpu0:#2a4d80;--cpu1:#c58200;--cpu2:#7c5aa6;--cpu3:#3c8f7c;--wait:#8b94a0;"

#define DARK                                                                                       \
    "color-scheme:dark;--paper:#14171b;--raised:#1b1f24;--ink:#e7eaee;--soft:#a3acb8;"             \
    "--line:#343b44;--grid:#272d34;--tint:#1d2833;--link:#8cc4f2;"                                 \
    "--serial:#9aa4b0;--threads:#5fb4ec;--tasks:#34c79c;--processes:#f0893f;--auto:#e08fc0;"       \
    "--cpu0:#6f9fe0;--cpu1:#f2b33d;--cpu2:#b79be0;--cpu3:#5ec5ac;--wait:#7c8794;"

static const char colours[] = ":root{" LIGHT "}\n"
                              "@media (prefers-color-scheme:dark){:root{" DARK "}}\n"
                              "@media print{:root{" LIGHT "--paper:#fff}}\n";

static const char text[] =
    "*{box-sizing:border-box}\n"
    "html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-padding-top:1rem}\n"
    "body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.55 system-ui,-apple-system,"
    "\"Segoe UI\",Roboto,\"Helvetica Neue\",\"Liberation Sans\",sans-serif}\n"
    "header,main,footer{max-width:66rem;margin:0 auto;padding:0 clamp(1rem,4vw,2.5rem)}\n"
    "h1,h2,h3{line-height:1.2;text-wrap:balance;margin:0}\n"
    "h1{font-size:clamp(1.7rem,1.2rem + 2.4vw,2.75rem);letter-spacing:-.022em;font-weight:700}\n"
    "h2{font-size:clamp(1.35rem,1.1rem + 1.2vw,1.8rem);letter-spacing:-.015em}\n"
    "h3{font-size:1.06rem}\n"
    "p{margin:.6rem 0;max-width:68ch;text-wrap:pretty;overflow-wrap:break-word}\n"
    "a{color:var(--link);text-underline-offset:.15em}\n"
    ":focus-visible{outline:2px solid var(--link);outline-offset:2px}\n"
    "code{font:.92em ui-monospace,SFMono-Regular,\"DejaVu Sans Mono\",Menlo,monospace;"
    "overflow-wrap:anywhere}\n"
    ".soft,figcaption,caption,dt,footer{color:var(--soft)}\n"
    "header{padding-top:clamp(1.5rem,5vw,3.5rem)}\n"
    ".over{margin:0 0 .35rem;font-weight:600;color:var(--soft)}\n"
    ".lead{font-size:1.1rem;color:var(--soft)}\n"
    ".facts{display:flex;flex-wrap:wrap;gap:.7rem 2rem;margin:1.4rem 0 0;padding:.9rem 0;"
    "border-block:1px solid var(--line)}\n"
    ".facts div{min-width:0}\n"
    ".facts dt{font-size:.8rem}\n"
    ".facts dd{margin:0;font-weight:600;font-size:.94rem;overflow-wrap:anywhere}\n"
    "section{padding:clamp(2rem,5vw,3.2rem) 0 0}\n"
    "footer{margin-top:3rem;padding-bottom:3rem;font-size:.9rem}\n"
    "footer h2{font-size:1.05rem;letter-spacing:0;color:var(--ink)}\n"
    "footer::before{content:\"\";display:block;border-top:1px solid var(--line);"
    "margin-bottom:1.5rem}\n";

static const char cards[] =
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,10rem),1fr));"
    "gap:.9rem;margin:1.4rem 0 0;padding:0;list-style:none}\n"
    ".card{display:flex;flex-direction:column;height:100%;padding:1rem 1.1rem;"
    "background:var(--raised);border:1px solid var(--line);border-top:4px solid var(--c);"
    "border-radius:.5rem;color:inherit;text-decoration:none}\n"
    ".card h3{font-size:.92rem;font-weight:600;color:var(--soft)}\n"
    ".card strong{display:flex;align-items:center;gap:.45rem;margin:.3rem 0 .1rem;"
    "font-size:1.3rem;line-height:1.25;letter-spacing:-.01em}\n"
    ".card strong svg{flex:none}\n"
    ".card span{font-size:.92rem}\n"
    ".card:hover h3{text-decoration:underline}\n"
    ".verdict{font-size:1.1rem;margin:.9rem 0 0;padding:.1rem 0 .1rem 1rem;"
    "border-left:4px solid var(--c,var(--line))}\n"
    ".said{margin:.9rem 0 0}\n"
    ".said svg{vertical-align:-.1em;margin-right:.2rem}\n";

static const char drawings[] =
    "figure{margin:1.6rem 0 0}\n"
    "figcaption,caption{font-size:.92rem;text-align:left}\n"
    "figcaption{max-width:72ch;text-wrap:pretty}\n"
    "figcaption strong,caption strong{color:var(--ink);font-weight:600}\n"
    "svg{display:block}\n"
    "svg text{font-size:12px;fill:var(--soft)}\n"
    "svg .name{fill:var(--ink)}\n"
    ".inline{display:inline-block}\n"
    ".plot,.time{overflow:visible}\n"
    ".plot{width:calc(100% - 9.9rem);margin:.4rem 7.2rem 0 2.7rem}\n"
    ".time{width:calc(100% - 4.7rem);margin:.5rem .3rem 0 4.4rem}\n"
    ".grid{stroke:var(--grid);stroke-width:1}\n"
    ".axis{stroke:var(--line);stroke-width:1}\n"
    ".serial{--c:var(--serial)}.threads{--c:var(--threads)}.tasks{--c:var(--tasks)}"
    ".processes{--c:var(--processes)}.auto{--c:var(--auto)}\n"
    ".run{stroke:var(--c);stroke-width:2;stroke-linecap:round}\n"
    ".run.gil{stroke-dasharray:5 4;stroke-linecap:butt}\n"
    ".tail{stroke:var(--c);stroke-width:1;opacity:.45}\n"
    ".run.serial{stroke-dasharray:1 5;stroke-linecap:round}\n"
    ".run.serial.gil{stroke-dasharray:1 9}\n"
    ".run.auto{stroke-dasharray:11 3 2 3;stroke-linecap:butt}\n"
    ".run.auto.gil{stroke-dasharray:5 3 1 3}\n"
    ".band{fill:var(--c);opacity:.13}\n"
    ".bar{stroke:var(--c);stroke-width:1.5}\n"
    ".lost{fill:none;stroke:var(--processes);stroke-width:1.5;stroke-dasharray:4 3}\n"
    ".kept{fill:var(--c)}\n"
    ".mark{fill:var(--c);stroke:var(--c);stroke-width:1.8;stroke-linejoin:round}\n"
    ".gil .mark,.mark.gil{fill:var(--paper)}\n"
    ".leader{stroke:var(--c);stroke-width:1;opacity:.45}\n"
    ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));"
    "gap:0 2.5rem}\n"
    ".pair figure{display:grid;grid-template-rows:subgrid;grid-row:span 3;align-content:start}\n"
    ".pair figcaption{margin-top:.15rem}\n"
    ".lane path{fill:none}\n"
    ".cpu0{stroke:var(--cpu0)}.cpu1{stroke:var(--cpu1)}.cpu2{stroke:var(--cpu2)}"
    ".cpu3{stroke:var(--cpu3)}\n"
    ".wait{stroke:var(--wait)}\n"
    ".gap{stroke:var(--paper)}\n"
    ".key{display:flex;flex-wrap:wrap;gap:.3rem 1.4rem;margin:1rem 0 0;padding:0;list-style:none;"
    "font-size:.92rem}\n"
    ".key li{display:flex;align-items:center;gap:.5rem}\n"
    ".key svg{flex:none}\n";

static const char tables[] =
    ".scroll{overflow-x:auto;margin:1.6rem 0 0;border-bottom:1px solid var(--line)}\n"
    "table{width:100%;border-collapse:collapse;font-size:.92rem;"
    "font-variant-numeric:tabular-nums lining-nums}\n"
    "caption{padding-bottom:.5rem}\n"
    "caption span{position:sticky;left:0;display:inline-block;"
    "max-width:min(72ch,calc(100vw - 2rem))}\n"
    "th,td{padding:.28rem .7rem;text-align:right;white-space:nowrap;font-weight:400}\n"
    "thead th{color:var(--soft);font-size:.84rem;vertical-align:bottom;"
    "border-bottom:1px solid var(--line)}\n"
    "tbody th,thead th:first-child{text-align:left;position:sticky;left:0;"
    "background:var(--paper);padding-left:0}\n"
    "tbody+tbody tr:first-child>*{border-top:1px solid var(--grid)}\n"
    "tbody th svg{display:inline-block;vertical-align:-.1em;margin-right:.45rem}\n"
    "th:last-child,td:last-child{padding-right:.2rem}\n"
    "tr.best>*{background:var(--tint);font-weight:650}\n"
    "td.soft{font-weight:400}\n";

static const char paper[] =
    "@media (max-width:34rem){\n"
    ".plot{width:calc(100% - 9.1rem);margin-left:2.3rem;margin-right:6.8rem}\n"
    "th,td{padding-inline:.5rem}\n"
    ".cards{gap:.6rem}.card{padding:.7rem .8rem}.card strong{font-size:1rem;gap:.3rem}\n"
    "}\n"
    "@media (max-width:23rem){.spare{display:none}}\n"
    "@media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}\n"
    "@media print{\n"
    "@page{margin:15mm}\n"
    "*{print-color-adjust:exact;-webkit-print-color-adjust:exact}\n"
    "body{font-size:10pt}\n"
    "header,main,footer{max-width:none;padding-inline:0}\n"
    "header{padding-top:0}\n"
    "h1{font-size:22pt}h2{font-size:15pt}\n"
    "figure,.card,tr,.facts,.verdict{break-inside:avoid}\n"
    "h2,h3,h2+.soft,caption{break-after:avoid}\n"
    ".scroll{overflow:visible}\n"
    "tbody th,thead th:first-child{position:static}\n"
    "table{font-size:8.5pt;line-height:1.3}\n"
    "th,td{padding-block:.1rem}\n"
    "thead{display:table-header-group}\n"
    ".cards{grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.5rem}\n"
    ".card{padding:.6rem .7rem}\n"
    ".card strong{font-size:.9rem;gap:.3rem}\n"
    ".pair{grid-template-columns:1fr 1fr;gap:0 1.5rem}\n"
    "}\n";

void page_style(FILE *to)
{
    fputs("<style>\n", to);
    fputs(colours, to);
    fputs(text, to);
    fputs(cards, to);
    fputs(drawings, to);
    fputs(tables, to);
    fputs(paper, to);
    fputs("</style>\n", to);
}
