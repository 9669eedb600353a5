// SPDX-License-Identifier: MIT
//
// The page of `weft lab` as people see it: in Chromium, on a phone and on a desk, by day, by night and
// on paper. Every figure is compared with what --json says of the same run.
//
// There are two pages: one of made-up results (tests/cli/lab_sample.c), which has all that a page can
// have, and hostile texts; and one that `weft lab` makes here, of short runs. How fast anything is
// does not matter. Screenshots stay in BUILD/browser, to be looked at.
//
// Usage: node test_page.mjs BUILD      (scripts/browser installs what it needs, and runs it)
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';

import * as look from './look.mjs';

const build = path.resolve(process.argv[2] ?? 'build');
const out = path.join(build, 'browser');
const { chromium } = createRequire(path.join(out, 'package.json'))('playwright-core');

const PATIENCE_MS = 300_000; // only ends what hangs; nothing is measured by it
const SIZE_MAX = 1_000_000;

const makers = {
    sample: (html, json) => execFileSync(path.join(build, 'tests/cli/lab_sample_page'), [html, json]),
    lab: (html, json) =>
        execFileSync(path.join(build, 'cli/weft'),
            ['lab', '--quiet', '--time', '5s', '--workers', '1,2', '--json', json, '--html', html],
            { stdio: ['ignore', 'ignore', 'inherit'], timeout: PATIENCE_MS }),
};

const screens = {
    desk: { width: 1280, height: 900 },
    phone: { width: 390, height: 844 },
    narrow: { width: 320, height: 640 },
};

// Made-up results fill a page more than a short run does.
const looks = {
    sample: Object.keys(screens).flatMap((screen) => [[screen, 'light'], [screen, 'dark']]),
    lab: [['desk', 'light'], ['phone', 'dark']],
};

let browser;
before(async () => {
    browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', timeout: PATIENCE_MS,
    });
});
after(() => browser?.close());

// Opens a page; what it complains about and what it asks for is collected from its first moment.
async function open(file, screen, colorScheme, media = 'screen') {
    const context = await browser.newContext({ viewport: screens[screen], colorScheme });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    const heard = { complaints: [], requests: [] };
    page.on('console', (message) => heard.complaints.push(message.text()));
    page.on('pageerror', (error) => heard.complaints.push(String(error)));
    page.on('request', (request) => heard.requests.push(request.url()));
    await page.emulateMedia({ media, colorScheme });
    await page.goto(pathToFileURL(file).href);
    return { page, heard, close: () => context.close() };
}

// Numbers are shown rounded: this is whether the text may stand for the value.
function assertShows(text, value, what) {
    const shown = text.replaceAll(',', '').replace(/[^0-9.].*$/, '');
    const decimals = (shown.split('.')[1] ?? '').length;
    const error = Math.abs(Number(shown) - value);
    assert.ok(shown !== '' && error <= 0.5001 * 10 ** -decimals, `${what}: ${text} is not ${value}`);
}

// A figure as it is in the JSON, and as attributes of the page's.
function assertSame(data, row) {
    for (const name of ['workers', 'runs', 'rate', 'low', 'high', 'cpus', 'waiting'])
        assert.equal(data[name] === undefined ? null : Number(data[name]), row[name], name);
    for (const name of ['load', 'kind', 'gil'])
        assert.equal(data[name], String(row[name]), name);
}

function assertCells(cells, row, serial) {
    assertShows(cells[0], row.workers, 'workers');
    assertShows(cells[1], row.rate, 'rate');
    if (serial !== undefined)
        assertShows(cells[2], row.rate / serial.rate, 'times serial');
    assertShows(cells[3], row.cpus, 'CPUs');
    assertShows(cells[4], 100 * row.waiting, 'waiting');
    if (row.runs > 1) {
        const [low, high] = cells[5].split(' to ');
        assertShows(low, row.low, 'low');
        assertShows(high, row.high, 'high');
        assert.equal(cells[5].includes('†'), !row.tight, 'the mark of a wide interval');
    }
    assertShows(cells[6], row.runs, 'runs');
}

// The share of the time in which two or more computed, from the JSON's spans.
function parallelOf(timeline) {
    const edges = timeline.spans.filter((span) => !span.waiting && span.end_ns > span.begin_ns)
        .flatMap((span) => [[span.begin_ns, 1], [span.end_ns, -1]])
        .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    let computing = 0, last = 0, sum = 0;
    for (const [at, change] of edges) {
        sum += computing >= 2 ? at - last : 0;
        computing += change;
        last = at;
    }
    return sum / timeline.wall_ns;
}

for (const name of Object.keys(makers))
    describe(`the page: ${name}`, () => {
        const html = path.join(out, `${name}.html`);
        const json = path.join(out, `${name}.json`);
        let results, desk;

        before(async () => {
            makers[name](html, json);
            results = JSON.parse(readFileSync(json, 'utf8'));
            desk = await open(html, 'desk', 'light');
        });
        after(() => desk?.close());

        it('is small', () => assert.ok(readFileSync(html).length < SIZE_MAX));

        it('has every row of the JSON in its tables, in order, with its figures', async () => {
            const rows = await desk.page.evaluate(look.rows);
            assert.equal(rows.length, results.rows.length);
            results.rows.forEach((row, i) => {
                const serial = results.rows.find(
                    (other) => other.load === row.load && other.kind === 'serial' && !other.gil);
                assertSame(rows[i].data, row);
                assertCells(rows[i].cells, row, serial);
                assert.equal(rows[i].name, row.kind + (row.gil ? ', GIL' : ''));
            });
        });

        it('highlights the winners', async () => {
            const rows = await desk.page.evaluate(look.rows);
            const best = results.verdicts.map((verdict) => verdict.best);
            assert.deepEqual(rows.flatMap((row, i) => (row.best ? [i] : [])), best);
            const cards = await desk.page.locator('.card').allInnerTexts();
            assert.equal(cards.length, best.length);
            best.forEach((row, i) => assert.ok(cards[i].includes(results.rows[row].kind), cards[i]));
        });

        it('says the verdicts and why auto chose what it chose', async () => {
            for (const { load, text } of results.verdicts) {
                const shown = await desk.page.locator(`#${load} .verdict`).innerText();
                assert.ok(text.endsWith(shown) && shown.length > 0.5 * text.length, shown);
            }
            const explained = results.rows.map((row) => row.explain).filter((text) => text !== null);
            assert.deepEqual(await desk.page.locator('.said q').allInnerTexts(), explained);
        });

        it('plots every row, higher where the rate is higher', async () => {
            const points = await desk.page.evaluate(look.points);
            const plotted = results.rows.filter((row) => row.kind !== 'serial');
            assert.equal(points.length, plotted.length);
            const left = [...plotted];
            for (const point of points) {
                const i = left.findIndex((row) => row.rate === Number(point.data.rate));
                assertSame(point.data, left.splice(i, 1)[0]);
            }
            for (const a of points)
                for (const b of points)
                    if (a.data.load === b.data.load && Number(a.data.rate) > Number(b.data.rate))
                        assert.ok(a.y <= b.y, `${a.data.rate} is not above ${b.data.rate}`);
        });

        it('draws every timeline, and says how parallel it was', async () => {
            const drawn = await desk.page.evaluate(look.timelines);
            assert.equal(drawn.length, results.timelines.length);
            results.timelines.forEach((timeline, i) => {
                assert.equal(drawn[i].title, timeline.title);
                assert.equal(Number(drawn[i].data.spans), timeline.spans.length);
                assert.ok(Math.abs(Number(drawn[i].data.parallel) - parallelOf(timeline)) < 1e-4);
                const cpus = new Set(timeline.spans.filter((s) => !s.waiting).map((s) => s.cpu));
                assert.equal(drawn[i].lanes, Math.min(timeline.workers, 64) + Math.min(cpus.size, 16));
                assert.equal(drawn[i].empty, 0, `${timeline.title}: empty lanes`);
            });
        });

        it('shows the race', async () => {
            const data = await desk.page.evaluate(look.race);
            for (const key of ['threads', 'expected', 'unlocked', 'locked'])
                assert.equal(Number(data[key]), results.race[key], key);
        });

        it('has what a reader needs who does not see it', async () => {
            assert.deepEqual(await desk.page.evaluate(look.accessibility), []);
        });

        it('stays where it is while it loads', async () => {
            assert.equal(await desk.page.evaluate(look.shift), 0);
        });

        for (const [screen, scheme] of looks[name])
            it(`is readable: ${screen}, ${scheme}`, async () => {
                const { page, heard, close } = await open(html, screen, scheme);
                await page.screenshot({
                    path: path.join(out, `${name}-${screen}-${scheme}.png`), fullPage: true,
                });
                assert.deepEqual(heard.complaints, []);
                assert.deepEqual(heard.requests.filter((url) => !url.startsWith('data:')),
                    [pathToFileURL(html).href]);
                assert.deepEqual(await page.evaluate(look.overflow), []);
                assert.deepEqual(await page.evaluate(look.texts), []);
                assert.deepEqual(await page.evaluate(look.contrast), []);
                const [red] = await page.evaluate(look.paper);
                assert.ok(scheme === 'dark' ? red < 64 : red > 192, `paper: ${red}`);
                await close();
            });

        it('is printed on white paper', async () => {
            const { page, close } = await open(html, 'desk', 'dark', 'print');
            assert.deepEqual(await page.evaluate(look.paper), [255, 255, 255]);
            assert.deepEqual(await page.evaluate(look.contrast), []);
            await page.setViewportSize({ width: 680, height: 1000 }); // A4 without its margins
            assert.deepEqual(await page.evaluate(look.overflow), []);
            assert.deepEqual(await page.evaluate(look.texts), []);
            await page.screenshot({ path: path.join(out, `${name}-print.png`), fullPage: true });
            const pdf = await page.pdf({ path: path.join(out, `${name}.pdf`), format: 'A4' });
            assert.equal(pdf.subarray(0, 5).toString(), '%PDF-');
            await close();
        });
    });
