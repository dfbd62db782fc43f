-- The same writes by a function.
\set n random(1, 100000)
select place_order(sha256(('kie_bench_token_of_customer_' || lpad(:n::text, 12, '0'))::bytea));
