use std::sync::Arc; use std::time::Instant; use store::conformance::Fixture; use store::*;
use store_postgres::*;
#[tokio::main]
async fn main(){
 let url=std::env::args().nth(1).unwrap();
 let st=PostgresStore::connect(&url,PostgresOptions::default()).await.unwrap();
 let fx=Fixture::new(Arc::new(st.clone()));
 let mut acc=vec![]; for _ in 0..200 { acc.push(fx.account(1_000_000).await); }
 let orders:Vec<_>=(0..2000).map(|i| fx.order_of(acc[i%200],1,10)).collect();
 let t=Instant::now(); for o in &orders { let Placed::Opened(_)=st.place(o).await.unwrap() else {panic!()}; }
 eprintln!("place seq {:?}/order", t.elapsed()/2000);
 let orders:Arc<Vec<_>>=Arc::new((0..8000).map(|i| fx.order_of(acc[i%200],1,10)).collect());
 let t=Instant::now(); let mut js=tokio::task::JoinSet::new();
 for w in 0..16 { let (st,o)=(st.clone(),orders.clone()); js.spawn(async move { for i in (w..8000).step_by(16) { st.place(&o[i]).await.unwrap(); } }); }
 js.join_all().await; eprintln!("place 16 tasks {:.0}/s", 8000.0/t.elapsed().as_secs_f64());
 let hot:Arc<Vec<_>>=Arc::new((0..3000).map(|_| {let mut o=fx.order_of(acc[0],1,10); o.limits.open_jobs=100_000; o}).collect());
 let t=Instant::now(); let mut js=tokio::task::JoinSet::new();
 for w in 0..16 { let (st,o)=(st.clone(),hot.clone()); js.spawn(async move { for i in (w..3000).step_by(16) { st.place(&o[i]).await.unwrap(); } }); }
 js.join_all().await; eprintln!("hot 16 tasks {:.0}/s", 3000.0/t.elapsed().as_secs_f64());
 for lim in [16u32,100] { let t=Instant::now(); let j=fx.claim_up_to(lim).await; eprintln!("claim {} of 13000 backlog {:?} got {}", lim, t.elapsed(), j.len()); }
 let t=Instant::now(); for _ in 0..20 { fx.claim_up_to(100).await; } eprintln!("claim 100 avg {:?}", t.elapsed()/20);
 let js2=fx.claim_up_to(1000).await; eprintln!("claimed {}", js2.len());
 let t=Instant::now(); for j in &js2 { st.begin_attempt(&fx.begin(j)).await.unwrap(); } eprintln!("begin seq {:?}", t.elapsed()/js2.len() as u32);
 let t=Instant::now(); for j in &js2 { let mut s=fx.step(j,domain::JobState::Failed); s.guard.state=domain::JobState::Submitting; s.patch.cause=Some(domain::Cause::Expired); s.transfers=vec![fx.job_transfer(j.account,j.id,domain::TransferKind::Release,10)]; s.timeline=vec![NewEntry{source:"x",event:"y",detail:None,fold:None}]; assert_eq!(st.record(&s).await.unwrap(),Recorded::Applied);} eprintln!("record seq {:?}", t.elapsed()/js2.len() as u32);
 let t=Instant::now(); let f=st.audit(fx.now()).await.unwrap(); eprintln!("audit {:?} {}", t.elapsed(), f.len());
}
