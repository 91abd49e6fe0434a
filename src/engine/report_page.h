/* report_page.h  Style and script of the report's page. Plain, small, no network. */
#ifndef ENGINE_REPORT_PAGE_H
#define ENGINE_REPORT_PAGE_H

/* clang-format off */
static const char PAGE_STYLE[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1c2430;--dim:#5b6675;--grid:#e3e7ec;--band:#f4f6f9;"
    "--process:#b8c1cc;--tensors:#4c8bf5;--weights:#2f9e6e;--staged:#8a63d2;--planned:#1c2430;"
    "--resident:#d9730d;--budget:#d33}"
    "@media(prefers-color-scheme:dark){:root{--bg:#14181f;--fg:#e4e9f0;--dim:#97a3b3;--grid:#2a313c;"
    "--band:#1b212a;--process:#566172;--planned:#e4e9f0;--resident:#f0a03c;--budget:#ff6b6b}}"
    "body{font:14px/1.45 system-ui,sans-serif;color:var(--fg);background:var(--bg);margin:0 auto;"
    "max-width:1140px;padding:20px}"
    "h1{font-size:20px;margin:0 0 4px}h2{font-size:15px;margin:26px 0 6px}p{margin:4px 0;color:var(--dim)}"
    "svg{width:100%;height:auto;font:12px system-ui,sans-serif}svg text{fill:var(--fg)}svg .small.over{fill:var(--budget)}"
    ".small{font-size:11px}.end{text-anchor:end}.middle{text-anchor:middle}.small.end,.middle{fill:var(--dim)}"
    ".grid{stroke:var(--grid)}.stage{fill:var(--bg)}.s1{fill:var(--band)}"
    ".process{fill:var(--process)}.tensors{fill:var(--tensors)}.weights{fill:var(--weights)}"
    ".staged{fill:var(--staged)}.line{fill:none;stroke-width:1.5}"
    ".planned{stroke:var(--planned);stroke-dasharray:3 3}.resident{stroke:var(--resident)}"
    ".budget{stroke:var(--budget);stroke-width:2;stroke-dasharray:8 5}"
    ".peak{fill:var(--budget)}.cursor{stroke:var(--dim);pointer-events:none}"
    ".p0{fill:#4c8bf5}.p1{fill:#2f9e6e}.p2{fill:#f0a03c}.p3{fill:#8a63d2}.p4{fill:#d6549b}.p5{fill:#3fa9b5}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th,td{text-align:right;padding:4px 8px;border-bottom:1px solid var(--grid)}"
    "th:first-child,td:first-child{text-align:left}th{color:var(--dim);font-weight:600}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:14px 0 4px}"
    ".tile{background:var(--band);border-radius:8px;padding:10px 14px}"
    ".tile span{display:block;color:var(--dim);font-size:12px}.tile b{font-size:19px;font-weight:600;"
    "font-variant-numeric:tabular-nums}.tile i{display:block;height:5px;border-radius:3px;margin:4px 0;"
    "background:linear-gradient(90deg,var(--weights) var(--part),var(--grid) var(--part))}"
    ".halo{paint-order:stroke;stroke:var(--bg);stroke-width:4px}"
    "summary{cursor:pointer;color:var(--dim);margin:8px 0}"
    ".wide{overflow-x:auto}.legend span{margin-right:16px;white-space:nowrap}"
    ".legend i{display:inline-block;width:12px;height:12px;margin-right:5px;vertical-align:-1px}"
    ".legend .dash{height:0;border-top:2px dashed;background:none;vertical-align:4px}"
    "#tip{position:fixed;display:none;pointer-events:none;background:var(--bg);color:var(--fg);"
    "border:1px solid var(--dim);border-radius:4px;padding:6px 9px;font-size:12px;white-space:pre}";

/* The nearest point of the timeline under the pointer, in figures. */
static const char PAGE_SCRIPT[] =
    "const d=JSON.parse(document.getElementById('data').textContent),tip=document.getElementById('tip'),"
    "pts=d.timeline.points,mib=n=>(n/1048576).toFixed(1)+' MiB',"
    "stageAt=t=>{let n='';for(const s of d.measured.stages)if(s.begin<=t)n=s.name;return n};"
    "for(const s of document.querySelectorAll('svg.chart')){const g=s.dataset,cur=s.querySelector('.cursor');"
    "s.addEventListener('pointermove',e=>{const r=s.getBoundingClientRect(),x=(e.clientX-r.left)*1100/r.width,"
    "t=(x-g.left)/(g.right-g.left)*g.seconds;if(!pts.length||t<0||t>g.seconds){tip.style.display='none';return}"
    "let i=0;while(i+1<pts.length&&pts[i+1][0]<=t)i++;const p=pts[i];"
    "cur.setAttribute('x1',x);cur.setAttribute('x2',x);"
    "tip.textContent=`${p[0].toFixed(2)} s  ${stageAt(p[0])}\\ntensors ${mib(p[3])}\\nweights ${mib(p[4])}`"
    "+(d.plan.host_slab_bytes?`\\non their way ${mib(p[5])}`:'')"
    "+`\\nresident ${mib(p[6])}\\nplanned ${mib(p[7]+p[8])}\\noperations ${p[1]}-${p[2]}`;"
    "tip.style.display='block';tip.style.left=Math.min(e.clientX+14,innerWidth-190)+'px';"
    "tip.style.top=(e.clientY+14)+'px'});"
    "s.addEventListener('pointerleave',()=>{tip.style.display='none';"
    "cur.setAttribute('x1',-9);cur.setAttribute('x2',-9)})}";
/* clang-format on */

#endif
