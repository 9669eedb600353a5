// SPDX-License-Identifier: MIT
//
// What is looked at in the page, by functions that the browser runs: each stands alone. Those that
// look for faults return them as texts, none if all is well.

export function rows() {
    return [...document.querySelectorAll('tbody tr')].map((row) => ({
        data: { ...row.dataset },
        name: row.querySelector('th').innerText.trim(),
        cells: [...row.querySelectorAll('td')].map((cell) => cell.innerText.trim()),
        best: row.classList.contains('best'),
    }));
}

export function points() {
    return [...document.querySelectorAll('g.point')].map((point) => ({
        data: { ...point.dataset },
        y: Number(point.querySelector('use').getAttribute('y')),
    }));
}

export function timelines() {
    return [...document.querySelectorAll('figure.timeline')].map((figure) => {
        const lanes = [...figure.querySelectorAll('g.lane')];
        return {
            data: { ...figure.dataset },
            title: figure.querySelector('h3').innerText,
            lanes: lanes.length,
            empty: lanes.filter((lane) => !(lane.getBoundingClientRect().width > 0)).length,
        };
    });
}

export function race() {
    return { ...document.querySelector('#race figure').dataset };
}

// The colour behind all, as red, green and blue.
export function paper() {
    return getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number);
}

export function shift() {
    return new Promise((resolve) => {
        new PerformanceObserver((list) => {
            resolve(list.getEntries().reduce((sum, entry) => sum + entry.value, 0));
        }).observe({ type: 'layout-shift', buffered: true });
        setTimeout(() => resolve(0), 200); // none was recorded: nobody calls
    });
}

// What reaches out of the window. A table may, inside its own container, which scrolls.
export function overflow() {
    const faults = [];
    if (document.documentElement.scrollWidth > innerWidth)
        faults.push(`the page is ${document.documentElement.scrollWidth} wide, not ${innerWidth}`);
    for (const element of document.querySelectorAll('body *')) {
        const box = element.getBoundingClientRect();
        if (element.closest('.scroll table') || element.closest('defs') || box.width === 0)
            continue;
        if (box.left < -0.5 || box.right > innerWidth + 0.5)
            faults.push(`${element.tagName} ${element.textContent.slice(0, 40)}: ` +
                `${box.left} to ${box.right}`);
    }
    return faults;
}

// Texts in drawings: not too small, not stretched, not over one another.
export function texts() {
    const faults = [];
    for (const drawing of document.querySelectorAll('svg[role=img]')) {
        const seen = [];
        for (const text of drawing.querySelectorAll('text')) {
            if (getComputedStyle(text).display === 'none')
                continue;
            const box = text.getBoundingClientRect();
            const scale = text.getScreenCTM();
            if (parseFloat(getComputedStyle(text).fontSize) < 11)
                faults.push(`small: ${text.textContent}`);
            if (Math.abs(scale.a - 1) > 0.01 || Math.abs(scale.d - 1) > 0.01)
                faults.push(`stretched: ${text.textContent}`);
            for (const [other, there] of seen)
                if (box.left < there.right - 1 && box.right > there.left + 1 &&
                    box.top < there.bottom - 4 && box.bottom > there.top + 4)
                    faults.push(`${text.textContent} lies over ${other}`);
            seen.push([text.textContent, box]);
        }
    }
    for (const element of document.querySelectorAll('p, td, th, dt, dd, li, figcaption, caption'))
        if (parseFloat(getComputedStyle(element).fontSize) < 11)
            faults.push(`small: ${element.textContent.slice(0, 40)}`);
    return [...new Set(faults)];
}

// Text that stands out by less than 4.5 : 1 from what is behind it, and colours that mean something
// and stand out by less than 3 : 1 (WCAG 2.1, 1.4.3 and 1.4.11).
export function contrast() {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const known = new Map();
    const rgb = (colour) => {
        if (!known.has(colour)) {
            canvas.clearRect(0, 0, 1, 1);
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
            known.set(colour, [...canvas.getImageData(0, 0, 1, 1).data]);
        }
        return known.get(colour);
    };
    const luminance = (colour) => {
        const [r, g, b] = rgb(colour).map((c) => c / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (a, b) => {
        const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
        return (high + 0.05) / (low + 0.05);
    };
    const behind = (element) => {
        for (let e = element; e; e = e.parentElement)
            if (rgb(getComputedStyle(e).backgroundColor)[3] > 0)
                return getComputedStyle(e).backgroundColor;
        return 'white';
    };
    const faults = new Map();
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== '');
        if (!own || ['title', 'desc', 'style'].includes(element.tagName.toLowerCase()))
            continue;
        const style = getComputedStyle(element);
        const colour = element instanceof SVGElement ? style.fill : style.color;
        const found = ratio(colour, behind(element));
        if (found < 4.5)
            faults.set(`${colour} on ${behind(element)}: ${found.toFixed(2)}`, element);
    }
    const root = getComputedStyle(document.documentElement);
    for (const name of ['serial', 'threads', 'tasks', 'processes', 'auto', 'cpu0', 'cpu1', 'cpu2',
        'cpu3', 'wait']) {
        const found = ratio(root.getPropertyValue(`--${name}`), root.getPropertyValue('--paper'));
        if (!(found >= 3))
            faults.set(`--${name}: ${found.toFixed(2)}`, root);
    }
    return [...faults.keys()];
}

export function accessibility() {
    const faults = [];
    const expect = (condition, text) => condition || faults.push(text);
    const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
    expect(document.documentElement.lang === 'en', 'no language');
    expect(document.querySelector('meta[name=viewport]'), 'no viewport');
    expect(document.title !== '', 'no title');
    expect(document.scripts.length === 0, 'a script');
    expect(new Set(ids).size === ids.length, 'an id is there twice');
    expect(document.querySelectorAll('h1').length === 1, 'not one h1');
    for (const drawing of document.querySelectorAll('body svg')) {
        if (drawing.closest('[aria-hidden=true]') || drawing.parentElement.closest('svg[role=img]'))
            continue;
        const names = (drawing.getAttribute('aria-labelledby') ?? '').split(' ');
        expect(drawing.getAttribute('role') === 'img', 'a drawing that is no image');
        expect(names.every((id) => document.getElementById(id)?.textContent.trim()), 'no name');
    }
    for (const link of document.querySelectorAll('a[href], use[href]'))
        expect(document.getElementById(link.getAttribute('href').slice(1)),
            `nothing is called ${link.getAttribute('href')}`);
    for (const table of document.querySelectorAll('table')) {
        expect(table.caption?.textContent.trim(), 'a table without a caption');
        for (const head of table.querySelectorAll('th'))
            expect(['row', 'col'].includes(head.scope), 'a heading without a scope');
        for (const cell of table.querySelectorAll('td'))
            expect(getComputedStyle(cell).textAlign === 'right', 'a figure to the left');
        expect(table.closest('.scroll[tabindex="0"][aria-label]'), 'no way to scroll by keyboard');
    }
    return [...new Set(faults)];
}
