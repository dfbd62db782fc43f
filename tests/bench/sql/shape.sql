-- What one order wrote, as text that is the same for the same writes: the set columns with their widths, rows per job.
with job as (
  select * from kie.job order by id desc limit 1
), hold as (
  select * from kie.transfer where job_id = (select id from job)
), line as (
  select * from kie.timeline where job_id = (select id from job)
), cell as (
  select 'job' as what, c.key, c.value from job, jsonb_each_text(to_jsonb(job)) c
  union all
  select 'hold', c.key, c.value from hold, jsonb_each_text(to_jsonb(hold)) c
  union all
  select 'line', c.key, c.value from line, jsonb_each_text(to_jsonb(line)) c
)
-- Times and sequences are as wide as they happen to be printed.
select what, string_agg(case when key ~ '(^|_)(at|seq)$' then key else key || ' ' || length(value) end, ', ' order by key)
from cell where value is not null group by what
union all
select 'rows per job', format('%s holds, %s lines',
  trim_scale((select count(*) from kie.transfer where kind = 'hold')::numeric / (select count(*) from kie.job where price > 0)),
  trim_scale((select count(*) from kie.timeline)::numeric / (select count(*) from kie.job)))
order by 1;
