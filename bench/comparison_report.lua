local r={}
function r.print(c, work, sides, m)
  for _, one in ipairs(c) do print(one.name)
    for _, w in ipairs(work) do local t={w.key} for _, s in ipairs(sides) do local res=one.results[w.key] if res.median[s.name] then
     t[#t+1]=("%s %.1fus xC %.2f xM %.2f p95 %.2fms"):format(s.name,res.median[s.name]*1e6, res.to_c[s.name] or 0,res.to_convstore[s.name], res.percentiles[s.name][2]*1e3) end end print(table.concat(t,"\n   ")) end
    for n,g in pairs(one.growth) do print(n,g.newest,g.append) end
    for n,g in pairs(one.memory) do print(n,g.before,g.added) end
  end
end
return r
